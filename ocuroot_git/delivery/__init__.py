"""Delivery: what the documents of a store mean (design 7).

`model` knows the shapes of the documents, `survey` finds what there is; `releases`, `runs`, `intent` and `work`
change it, each in transactions of `store.Stores`; `execute` is the one door to the commands that users have run.
"""
