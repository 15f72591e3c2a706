# moto's server, with the arguments of its own, for Moto::start.
import functools, gc, os, shutil, sys, threading

# It ends when the program that started it ends without having said so, and takes its folder along: standard input is
# closed then.
folder = os.path.dirname(os.environ["MOTO_AMIS_PATH"])


def over():
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


threading.Thread(target=over, daemon=True).start()

import moto.backends, moto.core.responses, moto.kms.models
from moto.moto_server.werkzeug_app import DomainDispatcherApplication as App
from moto.server import main
from werkzeug.serving import WSGIRequestHandler

# Objects are written one after the other: moto looks whether there is one, and then makes it, and of two at once both
# would be told that there was none.
turn, call = threading.Lock(), App.__call__


def in_turn(self, environ, start):
    if environ["REQUEST_METHOD"] != "PUT":
        return call(self, environ, start)
    with turn:
        return call(self, environ, start)


App.__call__ = in_turn

# What moto works out anew for every call or account, and what is the same each time, is half of what it computes: which
# services there are, which methods each has, a line for its log, and an RSA key that belongs to every disk's default key
# and encrypts nothing.
modules = moto.backends.list_of_moto_modules
moto.backends.list_of_moto_modules = functools.cache(lambda: list(modules()))
for module, name in ((moto.core.responses, "method_names_from_class"), (moto.kms.models, "generate_private_key")):
    setattr(module, name, functools.cache(getattr(module, name)))
WSGIRequestHandler.log_request = lambda *_: None

# What moto keeps is much, and hardly ever garbage.
gc.set_threshold(100000, 20, 20)
main(sys.argv[1:])
