"""What servers say of their tools, remembered: the first definition that was seen is pinned, a later one is a change.

    spans          where the parts of a JSON text stand, so that what is not touched keeps its bytes
    definitions    a definition's canonical form and digest, the service's own
    pins           one server's pins and what differs from them now; pure
    pin_file       the same on disk, one file for each server
    choice         whether changes are reported, or held until they are approved
    noting         what the agent reads in recordings
    wording        what changed, for a person

Standard library only, for the relay needs it where changes are held; `noting` and `wording` are the agent's and the
commands'.
"""
