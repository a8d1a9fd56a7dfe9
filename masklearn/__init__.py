"""masklearn: what should a language model mask?"""

__version__ = '0.1.0'
