"""More than one machine: several at one library, and the nodes of a Ray cluster for one run.

server.py        short transactions on a server that may go away for a while
claims.py        photos claimed in batches, by workers that say every few seconds that they live
ceilings.py      requests and money, taken in small prepaid shares
settling.py      what is done is told to the server
redoing.py       opens the claims of what is to be done again, by the rule of a run
working.py       feeds the pipeline with what was claimed
ray_engine.py    starts or joins Ray, for one run
ray_decoders.py  decoders on its nodes, and photos of which they die
ray_models.py    copies of a model on its nodes, behind one backend
on_node.py       what runs there
"""
