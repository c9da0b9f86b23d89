"""`paste.planner.make_plan` and `paste.render.render` for batches of tensors, made equal to them.

The same rules made fast; may be skipped at a first reading. ``tests/paste/test_parity.py`` holds
the two together.
"""
