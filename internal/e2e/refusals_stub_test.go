// SPDX-License-Identifier: Apache-2.0

package e2e

func (s *scene) profiles()    {}
func (s *scene) brokenFiles() {}
func (s *scene) daemon()      {}
