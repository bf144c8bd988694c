"""MCJA's head."""

from fastreid.modeling.heads import REID_HEADS_REGISTRY

from vireid.modeling.heads import GeMHead


@REID_HEADS_REGISTRY.register()
class MCJAHead(GeMHead):
    """GeMHead, under the name that configs of MCJA have for it."""
