# SPDX-License-Identifier: Apache-2.0
"""Programs on botocore, for the tests that hold many AWS configs against them.

Reads one JSON request a line and answers each with one line. Every request runs
in a process of its own, which is forked from this one: it starts as fresh as a
program does, without the second that importing takes.

  {"op": "read"}                                  what botocore has parsed
  {"op": "sdk", "endpoint": E, "region": R,
   "profiles": [P]}                               who boto3 is as each profile
  {"op": "cli", "commands": [[word]]}             the AWS CLI, run for each

"env" in a request is added to the environment. The first line is written
unasked: the versions of what is installed here.
"""

import functools
import json
import os
import sys
import tempfile


def version(name):
    try:
        return __import__(name).__version__
    except ImportError:
        return ""


VERSIONS = {name: version(name) for name in ("awscli", "boto3", "botocore")}
if VERSIONS["awscli"]:
    import awscli.clidriver
if VERSIONS["botocore"]:
    import botocore as core
    import botocore.session
elif VERSIONS["awscli"]:
    import awscli.botocore as core
    import awscli.botocore.session
if VERSIONS["boto3"]:
    import boto3


# What AWS's services look like is read from large files. It is the same for
# everybody, so it is read once, here; nothing of a user's files is in it.
core.session.create_loader = functools.lru_cache(core.session.create_loader)


def failed(error):
    return {"error": "%s: %s" % (type(error).__name__, error)}


def read(request):
    """Each section of the merged files, by what botocore makes of its name."""
    try:
        return {"config": core.session.Session().full_config}
    except Exception as error:
        return failed(error)


def sdk(request):
    answers = []
    for profile in request["profiles"]:
        try:
            session = core.session.Session(profile=profile)
            region = session.get_config_variable("region") or request["region"]
            options = {"region_name": region, "endpoint_url": request["endpoint"]}
            if VERSIONS["boto3"]:
                client = boto3.Session(botocore_session=session).client("sts", **options)
            else:
                client = session.create_client("sts", **options)
            key = session.get_credentials().get_frozen_credentials().access_key
            answer = {"ARN": client.get_caller_identity()["Arn"], "AccessKeyID": key}
        except Exception as error:
            answer = failed(error)
        answer["profile"] = profile
        answers.append(answer)
    return {"identities": answers}


def cli(request):
    results = []
    for words in request["commands"]:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            try:
                status = awscli.clidriver.create_clidriver().main(words)
            except SystemExit as end:
                status = end.code
            sys.stdout.flush()
            sys.stderr.flush()
            out.seek(0)
            err.seek(0)
            results.append({
                "status": status or 0,
                "stdout": out.read().decode(errors="replace"),
                "stderr": err.read().decode(errors="replace"),
            })
    return {"results": results}


def answer(line, to):
    request = json.loads(line)
    os.environ.update(request.get("env") or {})
    try:
        text = json.dumps({"read": read, "sdk": sdk, "cli": cli}[request["op"]](request))
    except Exception as error:
        text = json.dumps(failed(error))
    with os.fdopen(to, "w") as pipe:
        pipe.write(text + "\n")


def warm():
    null = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.environ.update(null)
    core.session.Session().create_client("sts", region_name="us-east-1")
    if VERSIONS["awscli"]:
        driver = awscli.clidriver.create_clidriver()
        driver.session.create_client("sts", region_name="us-east-1")
    for name in null:
        del os.environ[name]


def main():
    warm()
    print(json.dumps(VERSIONS), flush=True)
    for line in sys.stdin:
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ours)
            answer(line, theirs)
            os._exit(0)
        os.close(theirs)
        with os.fdopen(ours) as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        print(text.strip() or json.dumps({"error": "the process died"}), flush=True)


main()
