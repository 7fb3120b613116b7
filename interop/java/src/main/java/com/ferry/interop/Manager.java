package com.ferry.interop;

import java.util.List;

/** A subclass: its parent's fields travel in the same flat list. */
public class Manager extends Person {
    private static final long serialVersionUID = 1L;
    private String title;
    private List<Person> team;

    public String getTitle() {
        return title;
    }

    public void setTitle(String title) {
        this.title = title;
    }

    public List<Person> getTeam() {
        return team;
    }

    public void setTeam(List<Person> team) {
        this.team = team;
    }
}
