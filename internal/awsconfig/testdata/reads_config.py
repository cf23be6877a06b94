# SPDX-License-Identifier: Apache-2.0
# Reads the content of AWS config files, base64 on a line each, and answers each
# with a line of JSON: what Python's configparser and botocore make of it. That
# botocore refuses a file is one word; configparser says why, and where.
import base64
import configparser
import json
import sys

try:
    from botocore import configloader
except ImportError:
    from awscli.botocore import configloader  # Debian's awscli has it inside


def nested_ok(value):
    lines = [line.strip() for line in value.splitlines()]
    return all("=" in line for line in lines if line)


def refused(kind, line=0):
    return {"refused": kind, "line": line}


def read(path):
    parser = configparser.RawConfigParser()
    try:
        parser.read([path])
    except configparser.ParsingError as e:  # its subclass has a line of its own
        return refused(type(e).__name__, getattr(e, "lineno", 0) or e.errors[0][0])
    except configparser.Error as e:
        return refused(type(e).__name__, getattr(e, "lineno", 0))
    except UnicodeDecodeError:
        return refused("UnicodeDecodeError")
    sections = {s: dict(parser.items(s)) for s in parser.sections()}
    for options in sections.values():
        for value in options.values():
            if value.startswith("\n") and not nested_ok(value):
                return refused("nested")
    return {"sections": sections}


def main(path):
    for request in sys.stdin:
        with open(path, "wb") as f:
            f.write(base64.b64decode(request))
        answer = read(path)
        try:
            answer["profiles"] = sorted(configloader.load_config(path)["profiles"])
            answer["loaded"] = True
        except Exception:
            answer["loaded"] = False
        print(json.dumps(answer), flush=True)


main(sys.argv[1])
