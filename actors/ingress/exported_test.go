package ingress

// Routes are the methods and paths that are served, as an OpenAPI document
// writes them. HEAD goes without saying.
func Routes() (all []string) {
	for _, r := range routes {
		path := r.path
		if path[len(path)-1] == '/' {
			path += "{key}"
		}
		for _, m := range r.methods {
			if m != "HEAD" {
				all = append(all, m+" "+path)
			}
		}
	}
	return all
}
