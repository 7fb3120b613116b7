package com.ferry.interop;

import java.io.Serializable;
import java.util.List;

/** A class as people write them: private fields, getters and setters. */
public class Person implements Serializable {
    private static final long serialVersionUID = 1L;
    private String name;
    private int age;
    private Long id;
    private Color favourite;
    private List<String> tags;

    public Person() {
    }

    public Person(String name, int age) {
        this.name = name;
        this.age = age;
    }

    public String getName() {
        return name;
    }

    public void setName(String name) {
        this.name = name;
    }

    public int getAge() {
        return age;
    }

    public void setAge(int age) {
        this.age = age;
    }

    public Long getId() {
        return id;
    }

    public void setId(Long id) {
        this.id = id;
    }

    public Color getFavourite() {
        return favourite;
    }

    public void setFavourite(Color favourite) {
        this.favourite = favourite;
    }

    public List<String> getTags() {
        return tags;
    }

    public void setTags(List<String> tags) {
        this.tags = tags;
    }

    @Override
    public int hashCode() {
        return age;
    }

    @Override
    public boolean equals(Object o) {
        return o != null && o.getClass() == getClass() && Samples.same(this, o);
    }
}
