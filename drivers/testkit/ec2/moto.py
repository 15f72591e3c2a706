# moto's server, with the arguments of its own, for Moto::start.
import gc, os, shutil, sys, threading

# It ends when the program that started it ends without having said so, and takes its folder along: standard input is
# closed then.
folder = os.path.dirname(os.environ["MOTO_AMIS_PATH"])


def over():
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


threading.Thread(target=over, daemon=True).start()

from moto.moto_server.werkzeug_app import DomainDispatcherApplication as App
from moto.server import main

# Objects are written one after the other: moto looks whether there is one, and then makes it, and of two at once both
# would be told that there was none.
turn, call = threading.Lock(), App.__call__


def in_turn(self, environ, start):
    if environ["REQUEST_METHOD"] != "PUT":
        return call(self, environ, start)
    with turn:
        return call(self, environ, start)


App.__call__ = in_turn

# What moto keeps is much, and hardly ever garbage.
gc.set_threshold(100000, 20, 20)
main(sys.argv[1:])
