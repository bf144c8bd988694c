"""Generated visible-infrared data: persons rendered from attributes, in the layout of a real data set."""

from synthvi.generate import Report, check_output, check_size, generate_dataset
from synthvi.layout import LAYOUTS
from synthvi.preview import write_contact_sheet

__all__ = ["LAYOUTS", "Report", "check_output", "check_size", "generate_dataset", "write_contact_sheet"]
