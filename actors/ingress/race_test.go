//go:build race

package ingress

func init() { raceDetector = true }
