"""The augmentation inside other libraries' pipelines, one module for each.

Each is imported by its own name, and needs its library: ``densesirst_gen.adapters.albumentations``,
``.torchvision``, ``.mmdet``.
"""
