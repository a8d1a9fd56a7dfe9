"""Text to tokens, words, sentences and salient spans; offsets count characters."""

from masklearn.text.matching import loose_occurrences as loose_occurrences
from masklearn.text.matching import prefix_occurrences as prefix_occurrences
from masklearn.text.segmentation import graphemes as graphemes
from masklearn.text.segmentation import long_words as long_words
from masklearn.text.segmentation import occurrences as occurrences
from masklearn.text.segmentation import sentences as sentences
from masklearn.text.segmentation import spaced as spaced
from masklearn.text.segmentation import words as words
from masklearn.text.tokenizer import Encoding as Encoding
from masklearn.text.tokenizer import Tokenizer as Tokenizer
from masklearn.text.tokenizer import train_tokenizer as train_tokenizer
from masklearn.text.tokenizer import with_words as with_words
from masklearn.text.tokenizer_files import has_vocabulary as has_vocabulary
from masklearn.text.tokenizer_files import load_tokenizer as load_tokenizer
