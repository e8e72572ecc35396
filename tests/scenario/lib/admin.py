"""The admin API of a gateway, over its local socket or the network."""
import httpx

from lib.process import PATIENCE


class AdminApi:
    """Answers are httpx responses; `made` and `read` want success, and are documents."""

    def __init__(self, socket=None, url=None, key=None):
        transport = httpx.HTTPTransport(uds=str(socket)) if socket else None
        fields = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.Client(transport=transport, base_url=f"{url or 'http://localhost'}/admin/v1", headers=fields,
                                   timeout=PATIENCE, trust_env=False)

    def ask(self, method, path, body=None, **fields):
        return self.client.request(method, "/" + path, json=body, headers={k.replace("_", "-"): v for k, v in fields.items()})

    def read(self, path, **params):
        answer = self.client.get("/" + path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def made(self, kind, **members):
        answer = self.client.post("/" + kind, json=members)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def changed(self, path, **members):
        answer = self.client.patch("/" + path, json=members)
        assert answer.status_code == 200, answer.text
        return answer.json()
