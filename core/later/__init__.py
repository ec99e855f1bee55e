"""Operations of Harbor's API whose features come later, answered honestly until then.

Words: a *later operation* is one that clients may call although nothing stands behind it. Reads
show what a fresh installation shows: empty lists, zeros, 404 for whatever is named. Whoever asks
for something to be done is refused with 501. The permission is checked first, so nobody learns
more here than where the feature exists.

Besides the usual slots: ``table`` is the one list of these operations. A feature that arrives
takes its lines out of it. Neighbours: none; this folder only reads what the paths name.
"""
