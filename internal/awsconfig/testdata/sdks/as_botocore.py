# SPDX-License-Identifier: Apache-2.0
"""Says who botocore takes profile dev of each directory for.

Reads a JSON list of directories, each with the files config and credentials;
writes a JSON object of its version and, by directory, of names as readingCase
spells them. No request leaves the process: STS is answered in place.
"""

import json
import os
import sys
from urllib.parse import parse_qs

try:
    from botocore import __version__, awsrequest, credentials, exceptions, session
except ImportError:  # Debian's awscli has one of its own
    from awscli.botocore import __version__, awsrequest, credentials, exceptions, session

CODES = []


class Answer:
    def __init__(self, text):
        self.text = text

    def stream(self):
        yield self.text.encode()


def answer_sts(request, **kwargs):
    """Answers AssumeRole with an access key that names role and caller."""
    auth = request.headers["Authorization"]
    auth = auth.decode() if isinstance(auth, bytes) else auth
    caller = auth.split("Credential=")[1].split(",")[0].rsplit("/", 4)[0]
    body = request.body.decode() if isinstance(request.body, bytes) else request.body
    params = parse_qs(body)
    role = params["RoleArn"][0].rsplit("/", 1)[1]
    code = "+code" if "TokenCode" in params else ""
    return awsrequest.AWSResponse(request.url, 200, {}, Answer(
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
        "<AssumedRoleUser><Arn>a</Arn><AssumedRoleId>i</AssumedRoleId></AssumedRoleUser><Credentials>"
        f"<AccessKeyId>role/{role}({caller}){code}</AccessKeyId><SecretAccessKey>x</SecretAccessKey>"
        "<SessionToken>x</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
        "</Credentials></AssumeRoleResult></AssumeRoleResponse>"))


# What botocore knows of services is read once, instead of for each directory.
LOADER = session.Session().get_component("data_loader")


def who(directory):
    os.environ["AWS_CONFIG_FILE"] = os.path.join(directory, "config")
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.path.join(directory, "credentials")
    s = session.Session(profile="dev")
    s.register_component("data_loader", LOADER)
    try:
        s.register("before-send.sts.AssumeRole", answer_sts)
        roles = s.get_component("credential_provider").get_provider("assume-role")
        roles._prompter = lambda text: "123456"
        found = s.get_credentials()
        if found is None:
            return "none", None
        if found.method in ("sso", "login"):
            return found.method, s.get_config_variable("region")
        if found.method == "assume-role-with-web-identity":
            return "web-identity", s.get_config_variable("region")
        return found.get_frozen_credentials().access_key, s.get_config_variable("region")
    except Exception as e:  # every error is a refusal; its text is for people who look
        return "refused", type(e).__name__ + ": " + str(e)


def settings(directory):
    """Returns what profile dev sets."""
    os.environ["AWS_CONFIG_FILE"] = os.path.join(directory, "config")
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.path.join(directory, "credentials")
    s = session.Session(profile="dev")
    try:
        mine = s.get_scoped_config()
        return {key: mine.get(key, "") for key in ("region", "endpoint_url")}
    except Exception:  # who says why
        return {}


class FakeLogin:
    """Stands in for what aws login left in its cache."""

    def load_token(self, session_name):
        return {
            "accessToken": {
                "accessKeyId": "login", "secretAccessKey": "x", "sessionToken": "x",
                "accountId": "111122223333", "expiresAt": "2099-01-01T00:00:00Z"},
            "clientId": "x", "refreshToken": "x", "dpopKey": "x"}


def main():
    login = hasattr(credentials, "LoginProvider")
    if login:
        credentials.LoginTokenLoader = lambda cache: FakeLogin()
        credentials.EC = credentials.EC or object()
    seen = {d: who(d) for d in json.load(sys.stdin)}
    json.dump({
        "version": __version__, "login": login,
        "who": {d: w[0] for d, w in seen.items()},
        "settings": {d: settings(d) for d in seen},
        "detail": {d: w[1] for d, w in seen.items()},
    }, sys.stdout)


main()
