"""What the tiles said, weighed into one answer for the scene. Pure: nothing here reads, writes or asks.

Heard, Heard, ... ──heard.py──▶ Case ──counting.py, voting.py──▶ Verdict
"""
