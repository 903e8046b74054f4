"""Pure views and algorithms over the model: the networkx graph, merge of claims into a topology, cuts, layout."""
