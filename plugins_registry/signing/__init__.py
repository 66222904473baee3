"""Who signs what, and where each private key is: a file, a hardware module, a key service, or somebody's safe.

from plugins_registry.signing import signer_for
signer_for(Role.DIRECTOR_TARGETS).sign(data)          # a securesystemslib signer, wherever its key is
package_signer().sign(data)                           # the issuer, as `km_protocol.kmpkg.dsse` wants it
"""

from __future__ import annotations

from plugins_registry.signing.roles import Role
from plugins_registry.signing.signers import PackageSigner, package_signer, signer_for

__all__ = ["PackageSigner", "Role", "package_signer", "signer_for"]
