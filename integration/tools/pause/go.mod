// The pause program of test pods: holds the sandbox's namespaces and does
// nothing else. Kubernetes' own is C and comes only as an image.
module syncd.test/tools/pause

go 1.26.0
