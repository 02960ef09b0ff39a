"""Quality of a set of rows: of its questions, of its responses, and of the whole.

`measure` gives what one compares data sets by: difficulty, diversity and quality of the questions;
diversity, quality and perplexity of the responses. Beside them stand repeats and validity.
"""

from dataenv.quality.embeddings import EMBEDDINGS, get_embedding, vendi
from dataenv.quality.figures import Figure
from dataenv.quality.judge import Judge
from dataenv.quality.measuring import Instruments, Quality, instruments_for, measure

__all__ = [
    "EMBEDDINGS",
    "Figure",
    "Instruments",
    "Judge",
    "Quality",
    "get_embedding",
    "instruments_for",
    "measure",
    "vendi",
]
