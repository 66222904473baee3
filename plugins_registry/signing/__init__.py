"""Who signs what, and where each private key is: a file, a hardware module, a key service, or somebody's safe.

from plugins_registry.signing.signers import package_signer, signer_for
signer_for(Role.DIRECTOR_TARGETS).sign(data)          # a securesystemslib signer, wherever its key is
package_signer().sign(data)                           # the issuer, as `km_protocol.kmpkg.dsse` wants it

Nothing is imported here: `roles` and `errors` are for everybody, the signers load every vendor's library.
"""
