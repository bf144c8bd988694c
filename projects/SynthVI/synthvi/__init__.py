"""SynthVI: visible and infrared images of generated persons, in the layouts of real datasets."""

from synthvi.conditions import Conditions
from synthvi.generate import Report, generate_dataset
from synthvi.layouts.layout import LAYOUTS
from synthvi.preview import write_contact_sheet
from synthvi.recipe import RECIPES, Recipe

__all__ = [
    "LAYOUTS",
    "RECIPES",
    "Conditions",
    "Recipe",
    "Report",
    "generate_dataset",
    "write_contact_sheet",
]
