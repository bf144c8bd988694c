"""Generated visible-infrared data: persons rendered from attributes, in the layout of a real data set."""

from .generate import Report, check_output, check_size, generate_dataset
from .layout import LAYOUTS
from .preview import write_contact_sheet

__all__ = ["LAYOUTS", "Report", "check_output", "check_size", "generate_dataset", "write_contact_sheet"]
