"""C12.19 tables, declared in construct and driven by ST0.

ST0 makes a `Configuration`; the dimension tables (ST11, ST21, ST51, ST61 with ST62, ST71) make
`Dimensions`; a `TableRegistry` gives every other table's declaration out of the two.
"""
