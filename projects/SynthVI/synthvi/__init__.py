"""SynthVI: visible and infrared images of generated persons, in the layouts of real datasets."""

from synthvi.generate import Report, generate_dataset
from synthvi.layout import LAYOUTS
from synthvi.preview import write_contact_sheet

__all__ = ["LAYOUTS", "Report", "generate_dataset", "write_contact_sheet"]
