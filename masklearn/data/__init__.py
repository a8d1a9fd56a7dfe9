"""Documents to passages on disk, passages and questions to arrays, arrays to batches.

`load_documents` gives documents as they are, `prepare_corpus` the passages of a corpus
that may be larger than memory: read, chunked, deduplicated, annotated and stored.
"""

from masklearn.data.arrays import batches as batches
from masklearn.data.arrays import encode_examples as encode_examples
from masklearn.data.arrays import encode_passages as encode_passages
from masklearn.data.arrays import filled as filled
from masklearn.data.arrays import take as take
from masklearn.data.chunking import chunk as chunk
from masklearn.data.chunking import fit_passages as fit_passages
from masklearn.data.chunking import split_passages as split_passages
from masklearn.data.corpora import CORPORA as CORPORA
from masklearn.data.corpora import corpus_options as corpus_options
from masklearn.data.corpora import load_documents as load_documents
from masklearn.data.formats import FORMATS as FORMATS
from masklearn.data.passage_records import read_passages as read_passages
from masklearn.data.passage_records import write_passages as write_passages
from masklearn.data.prepare import prepare_corpus as prepare_corpus
from masklearn.data.store import Store as Store
from masklearn.data.store import write_store as write_store
