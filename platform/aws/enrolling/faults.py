# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, by how far it reaches."""


class Fault(Exception):
    """One device cannot be dealt with; the others can."""


class Stop(Exception):
    """Nothing can: credentials, permissions, network, what was asked for."""


class Unclear(Exception):
    """A request went out and no answer says whether it was carried out."""
