"""What the lesson reuses: each module does one job."""

import os

# Before anything here is imported: ONNX Runtime reports to its makers unless it is told
# not to, Gradio too, and its client looks for the Hugging Face Hub.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
if os.environ.get("FOODVISION_OFFLINE", "").strip() == "1":
    os.environ["HF_HUB_OFFLINE"] = "1"
