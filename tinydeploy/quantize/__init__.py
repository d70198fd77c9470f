"""From a trained float model to an integer one that a microcontroller runs.

Everything before the first waist is in this folder, and only here are TensorFlow, LiteRT and
ai-edge-quantizer imported, each inside the function that needs it.
"""

from .job import QuantizeRequest, QuantizeResult, run

__all__ = ["QuantizeRequest", "QuantizeResult", "run"]
