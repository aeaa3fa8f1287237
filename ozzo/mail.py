"""What nodes say, understood: deliveries in, states and answers out; whatever is no message of this protocol is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ozzo.commands import STATE_BYTES, Acknowledgement, Channel, NodeState, decode, node_of
from ozzo.transport import Delivery


def understood(
    deliveries: Iterable[Delivery], unreadable: Callable[[str, str], None]
) -> list[tuple[NodeState | Acknowledgement, bool]]:
    """The messages in order, and whether the broker had retained them (then they may be of any age).

    Args:
        deliveries: from topics of nodes.
        unreadable: takes topic and reason of what is too large, no message, or about another node than its topic says.
    """
    found = []
    for delivery in deliveries:
        try:
            found.append((_message(delivery), delivery.retained))
        except ValueError as error:
            unreadable(delivery.topic, str(error))
    return found


def _message(delivery: Delivery) -> NodeState | Acknowledgement:
    node, channel = node_of(delivery.topic)
    message: NodeState | Acknowledgement
    if channel is Channel.STATE:
        message = decode(NodeState, delivery.payload, limit=STATE_BYTES)
    else:
        message = decode(Acknowledgement, delivery.payload)
    if message.node != node:
        raise ValueError(f"node {message.node!r} speaks on the topic of {node!r}")
    return message
