"""Documents to passages on disk, passages and questions to arrays, arrays to batches.

`load_documents` gives documents as they are, `prepare_corpus` the passages of a corpus
that may be larger than memory: read, chunked, deduplicated, annotated and stored.
"""

from masklearn.data.corpora import CORPORA as CORPORA
from masklearn.data.corpora import corpus_options as corpus_options
from masklearn.data.corpora import load_documents as load_documents
from masklearn.data.formats import FORMATS as FORMATS
from masklearn.io import lazy

_OWNERS = {
  'Store': 'store',
  'batches': 'arrays',
  'chunk': 'chunking',
  'encode_examples': 'arrays',
  'encode_passages': 'arrays',
  'filled': 'arrays',
  'fit_passages': 'chunking',
  'prepare_corpus': 'prepare',
  'read_passages': 'passage_records',
  'split_passages': 'chunking',
  'take': 'arrays',
  'write_passages': 'passage_records',
  'write_store': 'store',
}
__all__ = ['CORPORA', 'FORMATS', 'corpus_options', 'load_documents', *_OWNERS]
__getattr__ = lazy.attach(__name__, _OWNERS)
