"""Floor 4: the customer's pages; reads through the apps' `queries` and owns no tables of theirs."""
