"""Learning and measuring on a running graph, one episode at a time, with a person's verdict on each."""
