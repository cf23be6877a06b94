// SPDX-License-Identifier: Apache-2.0

package awsconfig

const onWindows = true
