"""The outer loss, differentiated through inner steps back to the policy."""

from masklearn.meta.gradient import MetaGradient as MetaGradient
from masklearn.meta.gradient import Probed as Probed
from masklearn.meta.gradient import cosine as cosine
from masklearn.meta.gradient import make_meta_gradient as make_meta_gradient
from masklearn.meta.gradient import make_moments as make_moments
from masklearn.meta.gradient import make_policy_step as make_policy_step
from masklearn.meta.gradient import merge_steps as merge_steps
from masklearn.meta.gradient import probe as probe
from masklearn.meta.gradient import signal_to_noise as signal_to_noise
from masklearn.meta.gradient import split_steps as split_steps
