// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// sdkClientMark makes the test binary a program on aws-sdk-go-v2: it asks
// GetCallerIdentity for each profile it names, as any Go tool would.
const sdkClientMark = "E2E_SDK_CLIENT"

// seen is what the program prints for each profile.
type seen struct {
	Profile     string
	AccessKeyID string
	ARN         string
	Region      string
}

func runAsSDKClient() bool {
	profiles := os.Getenv(sdkClientMark)
	if profiles == "" {
		return false
	}
	for profile := range strings.SplitSeq(profiles, ",") {
		if err := callAs(profile); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", profile, err)
			os.Exit(1)
		}
	}
	return true
}

func callAs(profile string) error {
	ctx := context.Background()
	var options []func(*config.LoadOptions) error
	if profile != "-" { // "-" takes what the environment says
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return err
	}
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(seen{profile, creds.AccessKeyID, *out.Arn, cfg.Region})
}
