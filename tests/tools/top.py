"""A person at `holdline top`, on a terminal: sees calls, scrolls, and ends it in one of three ways.

    top.py q|interrupt|terminate FIRST LAST COMMAND...

FIRST and LAST are calls, of which not all fit the screen. What was on the terminal before must be there afterwards,
and keys must be read as before.
"""
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import fcntl

ROWS, COLUMNS = 9, 160
PATIENCE = 60
ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"
MODES = termios.ICANON | termios.ECHO


class Terminal:
    def __init__(self, command):
        # Ours stays open, so that what the program left of it can be looked at.
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.said = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for standard in range(3):
                os.dup2(self.slave, standard)
            os.execvp(command[0], command)

    def modes(self):
        return termios.tcgetattr(self.slave)[3] & MODES

    def until(self, wanted, what):
        end = time.monotonic() + PATIENCE
        while not wanted():
            left = end - time.monotonic()
            assert left > 0, f"no {what} in:\n{self.said[-4000:]!r}"
            if select.select([self.master], [], [], left)[0]:
                self.said += os.read(self.master, 65536)

    def frame(self):
        """The last frame that is there as a whole."""
        whole = self.said.split(b"\x1b[J")
        return whole[-2] if len(whole) > 1 else b""

    def shows(self, *calls, without=None):
        self.until(lambda: all(call in self.frame() for call in calls) and (not without or without not in self.frame()),
                   f"frame with {calls} and without {without}")


def main(way, first, last, *command):
    first, last = first.encode(), last.encode()
    terminal = Terminal(command)
    terminal.shows(b"CALLS", first, without=last)
    assert terminal.said.startswith(ENTER), terminal.said[:100]
    assert terminal.modes() == 0, "keys are read by lines, or shown"
    coloured = bool(re.search(rb"\x1b\[3\dm", terminal.frame()))
    assert coloured == ("NO_COLOR" not in os.environ), f"colours: {coloured}"

    for key, gone, shown in [(b"j", first, last), (b"\x1b[A", last, first)]:
        os.write(terminal.master, key)
        terminal.shows(shown, without=gone)
    if way == "terminate":
        os.kill(terminal.pid, signal.SIGTERM)
    else:
        os.write(terminal.master, {"q": b"q", "interrupt": b"\x03"}[way])
    terminal.until(lambda: terminal.said.endswith(LEAVE), "way back")
    _, status = os.waitpid(terminal.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
    assert terminal.modes() == MODES, "keys are not read as before"


main(*sys.argv[1:])
