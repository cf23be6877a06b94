# SPDX-License-Identifier: Apache-2.0
"""Stands for a plugin that somebody's config names: the AWS CLI ends without it."""


def awscli_initialize(cli):
    pass
