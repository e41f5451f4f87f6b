"""What the lesson reuses: each module does one job."""

import os

# Before anything here is imported: ONNX Runtime reports to its makers unless it is told
# not to, and a Gradio client looks for the Hugging Face Hub.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
if os.environ.get("FOODVISION_OFFLINE", "").strip() == "1":
    os.environ["HF_HUB_OFFLINE"] = "1"
