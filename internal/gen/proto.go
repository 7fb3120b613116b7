package gen

func fromProto(o Options, arg string) ([]File, error) { return nil, nil }
