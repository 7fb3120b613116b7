package com.ferry.interop;

import java.io.Serializable;
import java.util.List;

/** A tree whose children know their parent, so that values contain themselves. */
public class Node implements Serializable {
    private static final long serialVersionUID = 1L;
    public String name;
    public Node parent;
    public List<Node> children;
}
