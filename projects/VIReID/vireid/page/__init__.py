"""A page in the browser: search a gallery by an image, mix two images, and see the figures of a run.

Importing it keeps Gradio, which is imported afterwards, from telling anyone that it is used and from looking
for newer versions. Gradio's cache is a folder of this process, which goes with it.
"""

import atexit
import os
import shutil
import tempfile

LOCAL = ("127.0.0.1", "localhost")

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="vireid-page-")
atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)
for _name in ("NO_PROXY", "no_proxy"):  # Gradio asks its own server whether it is up
    os.environ[_name] = ",".join(filter(None, [os.environ.get(_name), *LOCAL]))
