"""Several machines at one library: who works on which photo, and what all of them may spend.

server.py    short transactions on a server that may go away for a while
claims.py    photos claimed in batches, by workers that say every few seconds that they live
ceilings.py  requests and money, taken in small prepaid shares
working.py   feeds the pipeline with what was claimed
"""
