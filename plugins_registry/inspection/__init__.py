"""What a machine can say about a submitted plugin, before people read it.

    for result in checking.run(source, manifest, previous=None):
        print(result.check, result.state, len(result.findings))      python_rules failed 1

Nothing here knows the database (`plugins_registry/scanning.py` writes what was found) and nothing of the submission is
read, parsed or run outside `box.py`. What the rules read themselves is standard library and km_protocol only, because
they run in that box, in an interpreter of their own.
"""
