package api

import (
	_ "embed"
	"net/http"
)

// Description is the OpenAPI document of this API.
//
//go:embed openapi.json
var Description []byte

// description is the handler of the API's own description.
func description() endpoint {
	handle := func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", oneDocument)
		_, _ = patient{r.Context(), w}.Write(Description)
		return nil
	}
	return endpoint{handle, nil, nil, oneDocument}
}
