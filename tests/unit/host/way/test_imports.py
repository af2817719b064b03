import subprocess
import sys


def test_what_speaks_http_is_imported_beside_the_login_and_not_before() -> None:
    asked = "import sys, reconciler.host.real, reconciler.host.way.dial; print('aiohttp' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    assert ran.stdout == "False\n"
