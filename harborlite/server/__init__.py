"""The web server: gunicorn's master and parser, with a worker whose threads do not wait for clients.

All connections of a process lie in one epoll, and its threads wait there (`worker`). One thread is woken for a
connection that became ready, does what can be done without waiting (`connection`) and puts the connection back. So a
request is never handed from one thread to another, and slow clients hold none.

A thread waits for a client only while the application reads a long body or sends a stream that is no file;
`harborlite.http` keeps those from filling the pool. The main thread accepts, and cuts who is over time.
"""
