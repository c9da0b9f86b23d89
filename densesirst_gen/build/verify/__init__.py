"""Is a built dataset what its build wrote? Every file, every annotation, every plan."""

from densesirst_gen.build.verify.dataset import verify
from densesirst_gen.build.verify.problem import NOTES, RULES, Problem

__all__ = ["NOTES", "RULES", "Problem", "verify"]
